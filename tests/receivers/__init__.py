"""Receivers of messages on loopback, real ones with real faults: `http` for webhooks and chats, `mail` for SMTP."""
