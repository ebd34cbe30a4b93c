"""Signal's cryptography as the far side of a WhatsApp session needs it; no I/O."""
