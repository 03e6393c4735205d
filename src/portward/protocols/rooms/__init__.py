"""The rooms protocol: users talk in rooms that have records with rights."""
