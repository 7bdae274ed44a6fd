"""Who acts and when: supervision, sessions, peers, the store, and the decisions they take."""
