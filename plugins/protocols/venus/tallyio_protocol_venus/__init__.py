"""Venus core pool for TallyIO: exact health and liquidations."""
