//go:build !unix

package oauth

import (
	"errors"
	"os"
)

// tryLock refuses: without locks between processes a grant could be lost.
func tryLock(*os.File) (bool, error) {
	return false, errors.New("not possible on this system: keep grants in Redis")
}

func syncFolder(string) error { return nil }
