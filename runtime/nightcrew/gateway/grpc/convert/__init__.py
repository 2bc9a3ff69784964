"""The wire's messages and the domain's values, each way: one file a noun."""
