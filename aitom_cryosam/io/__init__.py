"""The former place of readers of points and volumes, for scripts of versions before 0.1."""
