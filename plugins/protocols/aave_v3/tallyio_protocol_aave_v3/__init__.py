"""Aave V3 for TallyIO: exact health, liquidations and flash loans. Imports nothing by itself."""
