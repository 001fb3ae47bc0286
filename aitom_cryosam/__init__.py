"""CryoSAM for AITom: pick every copy of a particle in a tomogram from one click."""
