"""On-device service activation: what each operation is answered, and why (GSMA TS.43 §6 to §10)."""
