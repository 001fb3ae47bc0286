"""The coordinate files of each program; `registry` knows them all."""
