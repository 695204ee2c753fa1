"""Sound: synthetic speech, SoX, clips to shards, augmentation, front ends."""
