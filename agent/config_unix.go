//go:build unix

package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// belongsToRoot refuses a file that anybody but root could change, by its own
// mode or by a directory above it.
func belongsToRoot(path string) error {
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return fmt.Errorf("check who can change a file: %w", err)
	}
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return fmt.Errorf("check who can change %s: %w", path, err)
		}
		owner := info.Sys().(*syscall.Stat_t).Uid
		sticky := info.IsDir() && at != filepath.Dir(path) && info.Mode()&os.ModeSticky != 0
		if owner != 0 || info.Mode().Perm()&0o022 != 0 && !sticky {
			return fmt.Errorf("%s can be changed by others than root (uid %d, mode %04o on %s): chown it to root and remove group and other write", path, owner, info.Mode().Perm(), at)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}
