"""Learning from what people say: their preferences, the gate of a new version, and the report on it."""
