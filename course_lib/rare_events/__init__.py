"""How often does something happen that hardly ever happens? Scenes drawn where it does, and weighted back.

cut_in          a simulator of a car that cuts in: six normal inputs, two ways to crash, a braking policy
importance      likelihood ratios, the balance heuristic, estimates and their errors
cross_entropy   Gaussian proposals and mixtures that move, level by level, to where the crashes are
"""
