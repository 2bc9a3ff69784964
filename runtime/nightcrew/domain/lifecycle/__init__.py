"""The state machines of agents and executions, one table each; diagrams are drawn from the tables."""
