"""What goes over a graph: `shape_prop`."""
