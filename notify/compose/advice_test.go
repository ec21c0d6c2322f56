package compose_test

import "stanch/receiver/leak"

// What the issuer of the examples says of its keys.
var (
	ofService = leak.Advice{Replace: "Make the next one: `ibmcloud iam service-api-key-create ci-deploy-next ServiceId-77 " +
		"--action-if-leaked DISABLE --file key.json`. " + putAway}

	ofServiceCredential = leak.Advice{
		Breaks: "Applications that are bound to the service credential 0b1c2d3e-0000-4000-8000-123456789abc lose their service.",
		Replace: "The key was made for the service credential 0b1c2d3e-0000-4000-8000-123456789abc: whatever is bound to that " +
			"loses its service when the key dies.",
		Steps: []leak.AdviceStep{
			{Text: "See what it is of: `ibmcloud resource service-key 0b1c2d3e-0000-4000-8000-123456789abc`."},
			{Text: "Make a new credential there: `ibmcloud resource service-key-create NAME ROLE --instance-id INSTANCE`, and bind " +
				"the applications to it again, so that they get its content."},
			{Text: "Delete the old one if it is still there: `ibmcloud resource service-key-delete " +
				"0b1c2d3e-0000-4000-8000-123456789abc`."},
		},
	}

	ofPullSecret = leak.Advice{
		Replace: "Cluster ck0a5faw0bm3lnln95lg pulls its images with this key.",
		Steps: []leak.AdviceStep{
			{
				Text: "The key is not deleted, and must be before a new one is made: `ibmcloud iam service-api-key-delete " +
					"ApiKey-1c2d3e4f-0000-4000-8000-123456789abc cluster-ck0a5faw0bm3lnln95lg`.",
				Gone: "The key is deleted, as it must be.",
			},
			{Text: "Note which IAM policies of its service ID were customised, because the next step resets them: " +
				"`ibmcloud iam service-policies cluster-ck0a5faw0bm3lnln95lg`."},
			{Text: "Make a new key and secret, as an Administrator of Container Registry: " +
				"`ibmcloud ks cluster pull-secret apply --cluster ck0a5faw0bm3lnln95lg`."},
			{Text: "Wait some minutes until the secret is new: `kubectl get secret all-icr-io --namespace default`."},
			{Text: "Set the customised policies again, and copy the secret to other namespaces that use it."},
		},
	}

	ofRegion = leak.Advice{
		Replace: "The clusters of a region and resource group run on this key: without it workers, volumes and load balancers " +
			"cannot be ordered.",
		Steps: []leak.AdviceStep{
			{Text: "Sign in as who the clusters shall run as, best a functional ID, because the next key is that identity's, and " +
				"target the resource group: `ibmcloud target -g GROUP`."},
			{Text: "Make a new key for all clusters there: `ibmcloud ks api-key reset --region REGION`."},
			{Text: "Where the add-ons for block storage or autoscaling are in use, re-create the pods that still hold the old key: " +
				"`kubectl delete pod --namespace kube-system POD` for those whose names begin with ibm-vpc-block-csi-controller and " +
				"cluster-autoscaler."},
			{Text: "Delete the old key if it is still there."},
		},
	}
)

const putAway = "Put it into Secrets Manager, or into the secret store of whatever runs on it (a Kubernetes secret, the variables " +
	"of a pipeline), never into a repository; restart what runs on it, and delete the file."
