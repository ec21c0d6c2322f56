package gitlab

// CheckRef returns what a ref is read as, in the words that it was written in.
func CheckRef(text string) (string, error) {
	r, err := parseRef(text)
	if err != nil {
		return "", err
	}
	return r.String(), nil
}

// MaxSeen is how many names of deliveries a generation holds.
const MaxSeen = maxSeen
