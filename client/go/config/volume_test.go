package config

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// volume is an import's folder, laid out and replaced as the kubelet does it.
type volume struct {
	t         *testing.T
	directory string
	states    int
}

func newVolume(t *testing.T, importsDirectory, name string, files map[string]string) *volume {
	t.Helper()
	v := &volume{t: t, directory: filepath.Join(importsDirectory, name)}
	v.replace(files)
	for _, file := range []string{"server", "namespace", "ca.crt", "token"} {
		must(t, os.Symlink(filepath.Join("..data", file), filepath.Join(v.directory, file)))
	}
	return v
}

func (v *volume) replace(files map[string]string) {
	v.t.Helper()
	v.states++
	state := fmt.Sprintf("..state-%d", v.states)
	must(v.t, os.MkdirAll(filepath.Join(v.directory, state), 0o755))
	for name, text := range files {
		must(v.t, os.WriteFile(filepath.Join(v.directory, state, name), []byte(text), 0o644))
	}
	before, _ := os.Readlink(filepath.Join(v.directory, "..data"))
	must(v.t, os.Symlink(state, filepath.Join(v.directory, "..data_tmp")))
	must(v.t, os.Rename(filepath.Join(v.directory, "..data_tmp"), filepath.Join(v.directory, "..data")))
	if before != "" {
		must(v.t, os.RemoveAll(filepath.Join(v.directory, before)))
	}
}

func files(server, token string) map[string]string {
	return map[string]string{"server": server, "namespace": "remote", "ca.crt": "", "token": token}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
