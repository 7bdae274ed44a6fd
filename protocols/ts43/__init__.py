"""GSMA TS.43: requests, documents, status codes."""
