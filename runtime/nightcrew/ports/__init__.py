"""What Nightcrew needs of the world, as Protocols: adapters fit here, tests bring their own clock."""
