// Renders conversations as Ollama does (its template package gives a template the system messages joined, and all messages), and says which
// characters of the templates its Modelfile parser would drop.
package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"text/template"
)

type message struct{ Role, Content string }

type job struct {
	Template      string
	Conversations [][]message
}

type result struct {
	Texts   []string
	Dropped string
}

func main() {
	var jobs []job
	if err := json.NewDecoder(os.Stdin).Decode(&jobs); err != nil {
		panic(err)
	}
	results := make([]result, len(jobs))
	for i, job := range jobs {
		parsed := template.Must(template.New("").Option("missingkey=zero").Parse(job.Template))
		for _, character := range job.Template {
			if !strconv.IsPrint(character) && character != '\n' {
				results[i].Dropped += string(character)
			}
		}
		for _, conversation := range job.Conversations {
			var system []string
			for _, message := range conversation {
				if message.Role == "system" {
					system = append(system, message.Content)
				}
			}
			var text strings.Builder
			values := map[string]any{"System": strings.Join(system, "\n\n"), "Messages": conversation, "Response": ""}
			if err := parsed.Execute(&text, values); err != nil {
				panic(err)
			}
			results[i].Texts = append(results[i].Texts, text.String())
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		panic(err)
	}
}
