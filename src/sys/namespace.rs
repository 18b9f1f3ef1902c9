//! Namespaces: entering them, and proving that one is our own before anything is sent.
