"""The chart in front of HAPI in a real one-node Kubernetes: `make test-kubernetes`."""
