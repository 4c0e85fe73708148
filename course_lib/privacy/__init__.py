"""What a synthetic table, or a model, says about the people it was learnt from; and provable privacy.

attacks     records found again: verbatim numbers, density ratios, reference models, inference, linkage
dp_sgd      private gradients: one for each record, clipped and noised
marginals   a private generator of tables: a tree of noisy counts
accountant  how much epsilon is spent
one_run     a lower bound of epsilon, audited in one training run
"""
