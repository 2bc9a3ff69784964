"""What people write about an agent, as frozen models whose JSON is the protobuf JSON of AgentSpec."""
