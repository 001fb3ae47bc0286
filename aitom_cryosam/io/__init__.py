"""The former place of `aitom_cryosam.points`, for scripts written for versions before 0.1."""
