"""The WhatsApp engine: a port (`base`), and the processes that run neonize behind it."""
