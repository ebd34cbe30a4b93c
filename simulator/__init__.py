"""Plays WhatsApp and the phone on loopback for the unmodified engine."""
