"""The learner: an ensemble of a label memory and two online classifiers, stacked into P(correct) per candidate."""
