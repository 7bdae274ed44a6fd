"""The durable state and the database actor."""
