"""The Helm chart: its values and their schema, and what it renders where Helm is."""
