"""The reference service of Ogrom: a fashion shop in four languages."""
