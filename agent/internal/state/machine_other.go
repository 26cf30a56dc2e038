//go:build !linux && !windows && !darwin

package state

// machineID knows of no id on this system: states made here are not bound.
func machineID() ([]byte, error) { return nil, ErrNoMachineID }
