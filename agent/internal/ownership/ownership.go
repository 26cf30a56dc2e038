// Package ownership sees to it that the agent's directories stay where they
// are: nobody but root and the agent's own user can put others in their place.
//
//	/  → each name, links followed → the directory itself
//
// It goes from the root down. A directory that nobody else can change keeps
// what is in it, so that what was looked at stays what it was.
package ownership
