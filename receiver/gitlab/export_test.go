package gitlab

// MaxSeen is how many names of deliveries a generation holds.
const MaxSeen = maxSeen
