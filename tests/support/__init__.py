"""What the namespace tests stand on: hosts, topologies, the engine as a process, servers, load and statistics."""
