"""Data in: any SOURCE as Arrow, checked, as activity and outcomes; and generated data."""
