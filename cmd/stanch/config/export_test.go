package config

import "stanch/cmd/stanch/config/decode"

// Parse reads a configuration for every role.
func Parse(file string, text []byte, adapters Registry) (*Config, []decode.Fault) {
	return parse(file, text, adapters, nil, func(*decode.Decoder, *Config) {})
}
