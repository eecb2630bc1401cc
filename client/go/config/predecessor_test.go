package config

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "k8s.io/client-go/kubernetes" // the program's own dependency
)

func TestAProgramOfThePredecessorsBuildsAfterChangingItsImportPath(t *testing.T) {
	program, err := os.ReadFile("testdata/predecessor/main.go")
	must(t, err)
	const before = `"admiralty.io/multicluster-service-account/pkg/config"`
	const after = `"github.com/admiraltyio/multicluster-service-account/client/go/config"`
	if !strings.Contains(string(program), before) {
		t.Fatal("the program does not use the predecessor's package")
	}
	directory := t.TempDir()
	changed := filepath.Join(directory, "main.go")
	must(t, os.WriteFile(changed, []byte(strings.Replace(string(program), before, after, 1)), 0o644))
	original, err := filepath.Abs("testdata/predecessor/main.go")
	must(t, err)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	must(t, err)
	overlayFile := filepath.Join(directory, "overlay.json")
	must(t, os.WriteFile(overlayFile, overlay, 0o644))
	build := exec.Command("go", "build", "-overlay", overlayFile, "-o", filepath.Join(directory, "program"), "./testdata/predecessor")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
}
