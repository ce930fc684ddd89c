"""What is deployed: compose.yaml, the manifests in k8s/ and the Makefile's part in it."""
