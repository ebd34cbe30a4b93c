"""Commands that became groups: what they did before they still do."""

import click


class DefaultGroup(click.Group):
    """`roost backup SESSION` is `roost backup create SESSION`."""

    default = "create"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the default command in front of arguments that name no command."""
        wants_help = bool(args) and args[0] in self.get_help_option_names(ctx)
        if args and not wants_help and args[0] not in self.commands:
            args = [self.default, *args]
        return super().parse_args(ctx, args)
