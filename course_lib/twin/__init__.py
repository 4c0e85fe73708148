"""A simulated production line, and the twin that follows it and decides for it.

line            three machines with wear, two buffers, repairs and maintenance, of many lines at once
follow          a particle filter over the life and the shape of each machine's tools
decide          thresholds of maintenance by simulation with common random numbers; a twin's days
screen          the line and its twin on a screen, redrawn in place
gripper         a gripper's pick and place: objects of drawn mass and friction, a policy of three numbers
drivers         a crowd of synthetic drivers of different temper
environments    the line, and the motorway with its drivers, as Gymnasium environments
"""
