//! Clustering, probes and statistics against scikit-learn and SciPy.
