"""What a synthetic table, or a model, says about the people it was learnt from.

attacks     records found again: verbatim numbers, density ratios, reference models, inference, linkage
"""
