"""The pure rung: text, schema, policy, batching, bundle, messages, limits."""
