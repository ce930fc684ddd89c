"""Where the time of a hit and of a miss goes, room by room and function by function."""
