//! Networks, losses and optimisers against PyTorch.
