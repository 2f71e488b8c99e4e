package worker

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/temporal"
)

// version is set by the linker for a release.
var version = ""

type versionInfo struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Temporal string `json:"temporal_sdk"`
}

func (a *app) versionCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  crmsync version --json",
		Args:    args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			info := versionInfo{Version: buildVersion(), Go: runtime.Version(), Temporal: temporal.SDKVersion}
			if a.json {
				return a.printJSON(info)
			}
			a.printf("crmsync %s (%s, Temporal SDK %s)\n", info.Version, info.Go, info.Temporal)
			return nil
		},
	})
}

func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value[:min(12, len(setting.Value))]
		}
	}
	return info.Main.Version
}
