"""The generative models of the course, one paper a module, in the paper's symbols."""
