//go:build !linux

package main

// keepMemory and keepMemoryFromCores have nothing to do where the system has
// no such switch.
func keepMemory()          {}
func keepMemoryFromCores() {}
