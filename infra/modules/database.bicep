// The ledger's database: serverless, paused while nobody asks, without passwords.

@description('Name of the server.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Name of the database.')
param databaseName string

@description('Whether the internet may reach it: Disabled where private endpoints do.')
@allowed([
  'Enabled'
  'Disabled'
])
param publicNetworkAccess string = 'Disabled'

@description('Object ID of the administrator.')
param administratorId string

@description('Name of the administrator, as Entra ID has it.')
param administratorName string

@description('What the administrator is.')
@allowed([
  'User'
  'Group'
  'Application'
])
param administratorType string

@description('Where backups are kept.')
@allowed([
  'Zone'
  'Local'
])
param backupRedundancy string

@description('Whether Microsoft Defender watches it, which has a price of its own.')
@allowed([
  'Enabled'
  'Disabled'
])
param threatDetection string = 'Enabled'

@description('Log Analytics workspace of the diagnostic settings.')
param workspaceId string

resource server 'Microsoft.Sql/servers@2023-08-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    minimalTlsVersion: '1.2'
    publicNetworkAccess: publicNetworkAccess
    administrators: {
      administratorType: 'ActiveDirectory'
      azureADOnlyAuthentication: true
      login: administratorName
      principalType: administratorType
      sid: administratorId
      tenantId: subscription().tenantId
    }
  }
}

resource database 'Microsoft.Sql/servers/databases@2023-08-01' = {
  // checkov:skip=CKV_AZURE_229: The ledger holds IDs of reports, which App Center gives again: no reason to pay for a second zone.
  // checkov:skip=CKV_AZURE_26: The policy of threat detection is a resource of its own, below, which the check does not see.
  // checkov:skip=CKV_AZURE_27: The policy of threat detection is a resource of its own, below, which the check does not see.
  parent: server
  name: databaseName
  location: location
  tags: tags
  sku: {
    name: 'GP_S_Gen5_1'
    tier: 'GeneralPurpose'
  }
  properties: {
    // Minutes without a connection until it pauses. It resumes by itself; the handler asks again meanwhile.
    autoPauseDelay: 60
    minCapacity: json('0.5')
    maxSizeBytes: 34359738368
    requestedBackupStorageRedundancy: backupRedundancy
    zoneRedundant: false
  }
}

// Copies of a deleted row stay as long as backups do: the least that the service takes.
resource backups 'Microsoft.Sql/servers/databases/backupShortTermRetentionPolicies@2023-08-01' = {
  parent: database
  name: 'default'
  properties: {
    retentionDays: 1
  }
}

// Without private endpoints the app comes from addresses of Azure; this rule is how Azure SQL calls all of them.
resource azure 'Microsoft.Sql/servers/firewallRules@2023-08-01' = if (publicNetworkAccess == 'Enabled') {
  parent: server
  name: 'AllowAllWindowsAzureIps'
  properties: {
    startIpAddress: '0.0.0.0'
    endIpAddress: '0.0.0.0'
  }
}

resource serverThreats 'Microsoft.Sql/servers/securityAlertPolicies@2023-08-01' = {
  parent: server
  name: 'Default'
  properties: {
    state: threatDetection
    disabledAlerts: []
    emailAccountAdmins: true
  }
}

resource databaseThreats 'Microsoft.Sql/servers/databases/securityAlertPolicies@2023-08-01' = {
  parent: database
  name: 'Default'
  properties: {
    state: threatDetection
    disabledAlerts: []
    emailAccountAdmins: true
  }
}

// Who logged in is audited for the server, who changed rights for the database; what a statement holds for neither.
resource serverAudit 'Microsoft.Sql/servers/auditingSettings@2023-08-01' = {
  parent: server
  name: 'default'
  properties: {
    state: 'Enabled'
    isAzureMonitorTargetEnabled: true
    retentionDays: 90
    auditActionsAndGroups: [
      'SUCCESSFUL_DATABASE_AUTHENTICATION_GROUP'
      'FAILED_DATABASE_AUTHENTICATION_GROUP'
    ]
  }
}

resource databaseAudit 'Microsoft.Sql/servers/databases/auditingSettings@2023-08-01' = {
  parent: database
  name: 'default'
  properties: {
    state: 'Enabled'
    isAzureMonitorTargetEnabled: true
    retentionDays: 90
    auditActionsAndGroups: [
      'DATABASE_PERMISSION_CHANGE_GROUP'
      'DATABASE_ROLE_MEMBER_CHANGE_GROUP'
    ]
  }
}

// A server's audit log leaves by its system database, which is not made here: hence the full name.
resource auditDiagnostics 'Microsoft.Sql/servers/databases/providers/diagnosticSettings@2021-05-01-preview' = {
  name: '${server.name}/master/Microsoft.Insights/to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'SQLSecurityAuditEvents'
        enabled: true
      }
    ]
  }
  dependsOn: [
    serverAudit
  ]
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: database
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'SQLSecurityAuditEvents'
        enabled: true
      }
      {
        category: 'Errors'
        enabled: true
      }
      {
        category: 'Timeouts'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'Basic'
        enabled: true
      }
    ]
  }
}

output id string = server.id
