package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// snapshot is one state of an import's folder, never half of an old and half of a new one.
type snapshot struct {
	server    string
	namespace string
	token     string
}

// readSnapshot reads the files of one state: what "..data" leads to, as the kubelet (and our sidecar) replaces all files
// of a volume by renaming that link, and then removes the old ones. A folder without it is read as it is.
func readSnapshot(directory string) (snapshot, error) {
	for attempt := 1; ; attempt++ {
		state := currentState(directory)
		read, err := readState(state)
		if err == nil || attempt == 5 || state == currentState(directory) {
			return read, err
		}
	}
}

func currentState(directory string) string {
	if state, err := os.Readlink(filepath.Join(directory, "..data")); err == nil {
		return filepath.Join(directory, state)
	}
	return directory
}

func readState(directory string) (snapshot, error) {
	var read snapshot
	for name, value := range map[string]*string{"server": &read.server, "namespace": &read.namespace, "token": &read.token} {
		text, err := os.ReadFile(filepath.Join(directory, name))
		if name == "token" && errors.Is(err, os.ErrNotExist) && isDirectory(directory) {
			return snapshot{}, ErrNoToken
		}
		if err != nil {
			return snapshot{}, err
		}
		*value = strings.TrimSpace(string(text))
		if *value == "" {
			return snapshot{}, fmt.Errorf("file %q is empty", name)
		}
	}
	return read, nil
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
